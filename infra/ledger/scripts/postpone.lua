-- postpone: a callback that its sender took and did not send waits in the outbox again; no attempt is counted.
-- One script, because only who still holds a callback may give it back.
--
-- ARGV  for each callback 3 values: callback id · token · wait in ms
-- Reply for each 'done', or 'fenced' where another sender holds it and nothing was changed.

local replies, at_once = {}, false

local function postpone(id, token, wait)
  local known = fields(K.callback .. id, 'lease', 'status')
  if known[1] ~= token or known[2] ~= 'pending' then return 'fenced' end
  put('HSET', K.callback .. id, 'lease', '')
  put('ZADD', K.outbox, whole(now + tonumber(wait)), id)
  at_once = at_once or tonumber(wait) == 0
  return 'done'
end

for first = 1, #ARGV, 3 do
  replies[#replies + 1] = postpone(ARGV[first], ARGV[first + 1], ARGV[first + 2])
end
if at_once then redis.call('PUBLISH', K.wake, 'outbox') end
return replies

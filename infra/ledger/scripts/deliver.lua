-- deliver: a POST was made; the callback is delivered, waits for its next attempt, or is given up.
-- One script, because what was sent is recorded once, by whoever still holds the callback.
--
-- ARGV  1 attempts kept; then for each callback 7 values:
--       callback id · token · 'pending' | 'delivered' | 'blocked' | 'dead' · wait in ms · reason or '' · the attempt (JSON)
--       the change that watchers see (JSON)
-- Reply for each 'done', or 'fenced' where another sender holds it and nothing was changed.

local kept = tonumber(ARGV[1])
local replies = {}

-- The attempts before, as far as they can be read: a list of texts.
local function attempts_of(log)
  local texts = {}
  for _, text in ipairs(log and decoded(log) or {}) do
    if type(text) == 'string' then texts[#texts + 1] = text end
  end
  return texts
end

local function record(id, token, status, wait, reason, attempt, change)
  local known = fields(K.callback .. id, 'lease', 'status', 'attempts', 'log')
  if known[1] ~= token or known[2] ~= 'pending' then return 'fenced' end
  local log = attempts_of(known[4])
  log[#log + 1] = attempt
  while #log > kept do table.remove(log, 1) end
  put('HSET', K.callback .. id, 'lease', '', 'status', status, 'attempts', whole(natural(known[3], 0) + 1),
    'reason', reason, 'log', cjson.encode(log))
  if status == 'pending' then
    put('ZADD', K.outbox, whole(now + tonumber(wait)), id)
  else
    put('ZREM', K.outbox, id)
    put('ZREM', K.callbacks_as .. 'pending', id)
    put('ZADD', K.callbacks_as .. status, whole(now), id)
  end
  tell(change)
  return 'done'
end

for first = 2, #ARGV, 7 do
  replies[#replies + 1] = record(unpack(ARGV, first, first + 6))
end
publish_changes()
return replies

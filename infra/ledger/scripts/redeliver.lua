-- redeliver: callbacks that were given up, refused or delivered are made again under their old ids, at once or after a while;
-- one that waits for its next attempt waits no longer. The schedule starts anew; the attempts before are kept.
-- One script, because a callback that is being sent must be left to its sender.
--
-- ARGV  1 who asks for it, or ''; then for each callback 2 values: callback id · after so many ms
-- Reply for each 'pending'; 'open' where its round has not ended; '' where there is none.

local replies, any = {}, false

local function redeliver(id, after)
  local stem, number = string.match(id, '^cb_(%w+)%-?(%d*)$')
  local job, round = 'job_' .. (stem or ''), natural(number, 1)
  local known = fields(K.job .. job, 'status', 'round')
  if not known[1] then return '' end
  local present = natural(known[2], 1)
  if round > present or round == present and not ENDED[known[1]] then return 'open' end
  local _, record = callback_record(id, 'lease', 'attempts')
  if not record then return '' end
  local status = record[1]
  local due = whole(now + tonumber(after))
  if status == 'pending' then
    local earlier = tonumber(put('ZSCORE', K.outbox, id) or '')
    if (record[2] or '') ~= '' or earlier and earlier <= tonumber(due) then return 'pending' end
  end
  if status ~= 'pending' then
    put('HSET', K.callback .. id, 'status', 'pending', 'lease', '', 'reason', '', 'earlier', whole(natural(record[3], 0)))
    put('ZREM', K.callbacks_as .. status, id)
    put('ZADD', K.callbacks_as .. 'pending', whole(now), id)
    tell(callback_change(id, 'pending'))
  end
  put('ZADD', K.outbox, due, id)
  note_act(job, 'redeliver', ARGV[1])
  any = true
  return 'pending'
end

for first = 2, #ARGV, 2 do
  replies[#replies + 1] = redeliver(ARGV[first], ARGV[first + 1])
end
publish_changes()
if any then redis.call('PUBLISH', K.wake, 'outbox') end
return replies

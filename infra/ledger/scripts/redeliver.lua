-- redeliver: callbacks that were given up, refused or delivered are made again, at once, under their old ids; one that
-- waits for its next attempt waits no longer. The schedule starts anew; the attempts before are kept.
-- One script, because a callback that is being sent must be left to its sender.
--
-- ARGV  for each callback 2 values: callback id · the change that watchers see (JSON)
-- Reply for each 'pending'; 'open' where its job has not ended, or has begun another round; '' where there is none.

local replies, any = {}, false

local function redeliver(id, change)
  local job = 'job_' .. (string.match(id, '^cb_(%w+)') or '')
  local known = fields(K.job .. job, 'status', 'round')
  if not known[1] then return '' end
  if not ENDED[known[1]] or callback_of(job, natural(known[2], 1)) ~= id then return 'open' end
  local _, record = callback_record(id, 'lease', 'attempts')
  if not record then return '' end
  local status = record[1]
  if status == 'pending' and (record[2] or '') ~= '' then return 'pending' end
  if status ~= 'pending' then
    put('HSET', K.callback .. id, 'status', 'pending', 'lease', '', 'reason', '', 'earlier', whole(natural(record[3], 0)))
    put('ZREM', K.callbacks_as .. status, id)
    put('ZADD', K.callbacks_as .. 'pending', whole(now), id)
    tell(change)
  end
  put('ZADD', K.outbox, whole(now), id)
  any = true
  return 'pending'
end

for first = 1, #ARGV, 2 do
  replies[#replies + 1] = redeliver(ARGV[first], ARGV[first + 1])
end
publish_changes()
if any then redis.call('PUBLISH', K.wake, 'outbox') end
return replies

-- cancel: queued, scheduled, started → canceled, at once; its callback is queued, its places are given back, and the worker
-- that runs it is told.
-- One script, because an outcome without its callback would be silence, and because what still runs must find itself fenced.
--
-- ARGV  1 who cancels, or '' · 2… job ids
-- Reply for each the status that it now has: 'canceled', or what it had ended as before; '' where there is no such job.

local function taken_from(worker, job, token, record)
  put('SREM', K.running .. worker, job)
  keep_attempt(job, 'canceled', worker, natural(record[6], 1), seconds(unix(record[10]) or now), '', '', '', '', '')
  redis.call('PUBLISH', K.wake, 'cancel ' .. job)
end

local function cancel(job)
  if not is_job(job) then return '' end
  local record = fields(K.job .. job, 'status', 'event', 'origin', 'lease', 'round', 'attempt', 'line', 'limit', 'waiting',
    'started_at', 'outcome')
  local status, event, token = record[1], event_of(job, record[2]), record[4] or ''
  if ENDED[status] then return record[11] == 'ignored' and record[11] or status end
  local born = birth_of(event, job)
  if not born then return '' end
  local queue = is_queue(record[3]) and record[3] or born.queue
  local worker = status == 'started' and string.match(token, '^(.*)%-%d+$')
  put('HSET', K.job .. job, 'status', 'canceled', 'ended_at', stamp, 'lease', '')
  put('LREM', K.queue .. queue, '0', job)
  put('ZREM', K.scheduled .. queue, job)
  put('ZREM', K.deferred .. queue, job)
  put('ZREM', K.started .. queue, job .. ':' .. token)
  put('ZREM', K.open, job)
  put('ZADD', K.canceled .. queue, whole(now / 1000), job)
  if worker then taken_from(worker, job, token, record) end
  if record[8] then put('LREM', K.parked .. record[8], '0', job) end
  stop_waiting(job, record[9])
  leave_line(job, record[7])
  free_place(job, record[8])
  if queue_callback(job, born.callback, natural(record[5], 1)) then redis.call('PUBLISH', K.wake, 'outbox') end
  note_act(job, 'cancel', ARGV[1])
  tell(change_of(job, event, 'canceled', queue))
  return 'canceled'
end

local replies = {}
for place = 2, #ARGV do replies[place - 1] = cancel(ARGV[place]) end
redis.call('DEL', K.scratch)
publish_changes()
return replies

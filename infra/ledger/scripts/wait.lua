-- wait: started → scheduled, until an event comes or the time is up; queued at once where the event is there already.
-- It was no attempt, and the job holds nothing meanwhile.
-- One script, because an event that comes must find the job that waits, or be found by it.
--
-- ARGV  1 worker; then for each job 5 values:
--       job id · token · what the event is known by (a digest) · until when, in ms since 1970
--       the change that watchers see where it waits (JSON)
-- Reply for each job 'done', or 'fenced' where the token does not hold it any more and nothing was changed.

local LOOK_AGAIN = 60000   -- ms after which a job that found too many others waiting starts again, to look for itself
local worker = ARGV[1]
local released, closed, replies, woken = collector('ZREM'), {}, {}, false

-- The event, if it came before: its provider's id was seen, or its wait key. One of which nothing is left, or that the job has
-- looked at in vain, does not count: the job would start again and again.
local function came_before(job, key)
  local looked_at = fields(K.steps .. job, 'came:' .. key)[1]
  for _, place in ipairs({K.seen, K.arrived}) do
    local event = put('GETRANGE', place .. key, '0', '63')
    if is_event(event) and event ~= looked_at and redis.call('EXISTS', K.event .. event) == 1 then return event end
  end
  return nil
end

-- Say that jobs wait, for at least so long.
local function tell_of_waiting(wait)
  if redis.call('PTTL', K.awaited) < wait then redis.call('SET', K.awaited, '1', 'PX', whole(wait)) end
  return wait
end

local function stand_by(job, queue, key, due)
  if put('SCARD', K.waiting .. key) >= WOKEN_AT_ONCE then return schedule(job, queue, math.min(due, now + LOOK_AGAIN)) end
  local wait = tell_of_waiting(due - now)
  put('SADD', K.waiting .. key, job)
  if redis.call('PTTL', K.waiting .. key) < wait then redis.call('PEXPIRE', K.waiting .. key, whole(wait)) end
  put('HSET', K.job .. job, 'waiting', key)
  schedule(job, queue, due)
end

local function wait(job, token, key, due, change)
  local record = fields(K.job .. job, 'lease', 'status', 'origin', 'attempt', 'limit', 'event')
  if record[1] ~= token or record[2] ~= 'started' then return 'fenced' end
  local queue, event = is_queue(record[3]) and record[3] or 'default', came_before(job, key)
  released.add(K.started .. queue, job .. ':' .. token)
  put('HSET', K.job .. job, 'lease', '', 'attempt', whole(math.max(0, natural(record[4], 1) - 1)), 'enqueued_at', stamp)
  if event or tonumber(due) <= now then
    if event then put('HSET', K.steps .. job, 'came:' .. key, event) end
    put('HSET', K.job .. job, 'status', 'queued')
    put('RPUSH', K.queue .. queue, job)
    tell(change_of(job, event_of(job, record[6]), 'queued', queue))
  else
    stand_by(job, queue, key, tonumber(due))
    woken = true
    tell(change)
  end
  free_place(job, record[5])
  closed[#closed + 1] = job
  return 'done'
end

for first = 2, #ARGV, 5 do
  replies[#replies + 1] = wait(unpack(ARGV, first, first + 4))
end
if #closed > 0 then
  released.write()
  put('SREM', K.running .. worker, unpack(closed))
  publish_changes()
  if woken then redis.call('PUBLISH', K.wake, 'schedule') end
end
return replies

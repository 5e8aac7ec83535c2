-- take over: jobs whose worker's lease ran out go back to their queue; the third such death of a job fails it.
-- One script, because a freed job is handed on once, however many sweepers look.
--
-- ARGV  1 most jobs · 2 deaths that a job may cause · 3 error (JSON) · 4 error of the last death (JSON) · 5 its trace (RQ's)
--       6 retention of failures in s
-- Reply {number given back, number failed, 1 if there is more to do}

local most, cap = tonumber(ARGV[1]), tonumber(ARGV[2])
local back, lost, more = 0, 0, 0

local function give_back(job, worker)
  local record = fields(K.job .. job, 'lease', 'status', 'event', 'origin', 'cb', 'round', 'attempt', 'crashes', 'started_at')
  local token = record[1] or ''
  if record[2] ~= 'started' or string.sub(token, 1, #worker + 1) ~= worker .. '-' then return end
  local event, queue, crashes = record[3] or event_of(job), record[4] or 'default', (tonumber(record[8]) or 0) + 1
  local failing = crashes >= cap
  put('ZREM', K.started .. queue, job .. ':' .. token)
  keep_attempt(job, 'crashed', worker, token, record[7] or '1', seconds(now), '', failing and ARGV[5] or '',
    failing and ARGV[4] or ARGV[3], '', '')
  put('HSET', K.job .. job, 'lease', '', 'crashes', whole(crashes))
  if failing then
    put('HSET', K.job .. job, 'status', 'failed', 'ended_at', stamp)
    put('ZADD', K.failed .. queue, whole(now / 1000 + tonumber(ARGV[6])), job)
    put('ZREM', K.open, job)
    queue_callback(job, event, record[5], tonumber(record[6]) or 1)
    tell(change_of(job, event, 'failed', queue))
    lost = lost + 1
  else
    put('HSET', K.job .. job, 'status', 'queued', 'enqueued_at', stamp)
    put('LPUSH', K.queue .. queue, job)
    tell(change_of(job, event, 'queued', queue))
    back = back + 1
  end
end

local function empty(worker)
  local jobs = put('SRANDMEMBER', K.running .. worker, most - back - lost)
  for _, job in ipairs(jobs) do
    give_back(job, worker)
    put('SREM', K.running .. worker, job)
  end
  if redis.call('EXISTS', K.running .. worker) == 1 then
    more = 1
  else
    put('ZREM', K.leases, worker)
    redis.call('DEL', K.held .. worker, K.worker .. worker)
    put('SREM', K.workers, K.worker .. worker)
  end
end

for _, worker in ipairs(put('ZRANGE', K.leases, '-inf', whole(now), 'BYSCORE', 'LIMIT', 0, 16)) do
  if back + lost >= most then more = 1 break end
  empty(worker)
end
if lost > 0 then redis.call('PUBLISH', K.wake, 'outbox') end
publish_changes()
return {back, lost, more}

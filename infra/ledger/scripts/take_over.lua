-- take over: jobs whose worker's lease ran out go back to their queue; the third such death of a job fails it.
-- One script, because a freed job is handed on once, however many sweepers look.
--
-- ARGV  1 most jobs · 2 deaths that a job may cause · 3 error (JSON) · 4 error of the last death (JSON) · 5 its trace (RQ's)
--       6 retention of failures in s
-- Reply {number given back, number failed, 1 if there is more to do}

local LOST_KEPT = '86400'   -- seconds for which a worker that was given up is told so when it comes back
local most, cap = tonumber(ARGV[1]), tonumber(ARGV[2])
local back, lost, more = 0, 0, 0

local function give_back(job, worker)
  local record = fields(K.job .. job, 'lease', 'status', 'event', 'origin', 'round', 'attempt', 'crashes', 'started_at',
    'line', 'limit')
  local token = record[1] or ''
  if record[2] ~= 'started' or string.sub(token, 1, #worker + 1) ~= worker .. '-' or not is_job(job) then return end
  local event, queue = event_of(job, record[3]), is_queue(record[4]) and record[4] or 'default'
  local crashes = natural(record[7], 0) + 1
  local failing = crashes >= cap
  put('ZREM', K.started .. queue, job .. ':' .. token)
  keep_attempt(job, 'crashed', worker, natural(record[6], 1), seconds(unix(record[8]) or now), '', failing and ARGV[5] or '',
    failing and ARGV[4] or ARGV[3], '', '')
  put('HSET', K.job .. job, 'status', failing and 'failed' or 'queued', failing and 'ended_at' or 'enqueued_at', stamp,
    'lease', '', 'crashes', whole(crashes))
  if failing then
    local born = birth_of(event, job)
    put('ZADD', K.failed .. queue, whole(now / 1000 + tonumber(ARGV[6])), job)
    put('ZREM', K.open, job)
    leave_line(job, record[9])
    queue_callback(job, born and born.callback, natural(record[5], 1))
    lost = lost + 1
  else
    put('LPUSH', K.queue .. queue, job)
    back = back + 1
  end
  free_place(job, record[10])
  tell(change_of(job, event, failing and 'failed' or 'queued', queue))
end

-- A worker that only seemed dead must learn that its jobs are others' now: what it held leaves a mark.
local function forget(worker)
  local queues = fields(K.worker .. worker, 'queues')[1]
  for queue in string.gmatch(queues or '', '[^,]+') do put('SREM', K.workers_of .. queue, K.worker .. worker) end
  put('SREM', K.workers, K.worker .. worker)
  put('ZREM', K.leases, worker)
  if redis.call('DEL', K.worker .. worker, K.held .. worker) > 0 then
    redis.call('HSET', K.held .. worker, 'lost', stamp)
    redis.call('EXPIRE', K.held .. worker, LOST_KEPT)
  end
end

for _, worker in ipairs(put('ZRANGE', K.leases, '-inf', whole(now), 'BYSCORE', 'LIMIT', '0', '16')) do
  if back + lost >= most then more = 1 break end
  for _, job in ipairs(put('SRANDMEMBER', K.running .. worker, most - back - lost)) do
    give_back(job, worker)
    put('SREM', K.running .. worker, job)
  end
  if redis.call('EXISTS', K.running .. worker) == 1 then more = 1 else forget(worker) end
end
redis.call('DEL', K.scratch)
if lost > 0 then redis.call('PUBLISH', K.wake, 'outbox') end
publish_changes()
return {back, lost, more}

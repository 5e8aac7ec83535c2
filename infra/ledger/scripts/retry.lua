-- retry: started → scheduled, or queued at once. Also how a worker gives a job back untouched.
-- One script, because an attempt is counted once: by whoever still holds the lease.
--
-- ARGV  1 worker; then for each job 11 values:
--       job id · token · 'retried' | 'released' · wait in ms · '1' counted | '0' the attempt's number is given back
--       queue to go to, or '' for its own · trace (RQ's) or '' · error (JSON) or '' · started at, in s since 1970
--       handler · the change that watchers see (JSON)
-- Reply for each job 'done', or 'fenced' where the token does not hold it any more and nothing was changed.
-- A released job goes to the front of its queue, after its wait too; a retried one to the back.

local worker = ARGV[1]
local released, queues, closed, front = collector('ZREM'), collector('SADD'), {}, {}
local replies, woken = {}, false

local function again(job, token, kind, wait, counted, elsewhere, trace, error_json, started, handler, change)
  local record = fields(K.job .. job, 'lease', 'status', 'origin', 'attempt', 'limit')
  if record[1] ~= token or record[2] ~= 'started' then return 'fenced' end
  local queue, attempt = is_queue(record[3]) and record[3] or 'default', natural(record[4], 1)
  released.add(K.started .. queue, job .. ':' .. token)
  if kind == 'retried' then
    keep_attempt(job, kind, worker, attempt, started, '', trace, error_json, handler, '')
  end
  if elsewhere ~= '' then queue = elsewhere; queues.add(K.queues, K.queue .. queue) end
  local left = counted == '1' and attempt or math.max(0, attempt - 1)
  put('HSET', K.job .. job, 'status', 'queued', 'lease', '', 'attempt', whole(left), 'origin', queue, 'enqueued_at', stamp)
  if tonumber(wait) > 0 then
    schedule(job, queue, now + tonumber(wait))
    if kind == 'released' then put('HSET', K.job .. job, 'turn', 'kept') end
    woken = true
  elseif kind == 'released' then
    front[#front + 1] = {queue, job}
  else
    put('RPUSH', K.queue .. queue, job)
  end
  free_place(job, record[5])
  closed[#closed + 1] = job
  tell(change)
  return 'done'
end

for first = 2, #ARGV, 11 do
  replies[#replies + 1] = again(unpack(ARGV, first, first + 10))
end
if #closed > 0 then
  redis.call('DEL', K.scratch)
  push_front(front)
  released.write()
  queues.write()
  put('SREM', K.running .. worker, unpack(closed))
  publish_changes()
  if woken then redis.call('PUBLISH', K.wake, 'schedule') end
end
return replies

-- finish: started → finished | failed | ignored; the result is kept and the callback queued in the outbox.
-- One script, because an outcome without its callback would be silence.
--
-- ARGV  1 worker · 2 retention in s · 3 retention of failures in s; then for each job 10 values:
--       job id · token · 'finished' | 'failed' | 'ignored' · result (RQ's base64 of JSON) or '' · trace (RQ's) or ''
--       error (JSON) or '' · started at, in s since 1970 · handler · most attempts · the change that watchers see (JSON)
-- Reply for each job 'done', 'called' where a callback was queued as well, or 'fenced' where the token does not hold it
-- any more and nothing was changed.

local worker = ARGV[1]
local keep = {finished = tonumber(ARGV[2]), ignored = tonumber(ARGV[2]), failed = tonumber(ARGV[3])}
local released, ended, closed, done = collector('ZREM'), collector('ZADD'), {}, {}
local finished_count, failed_count = 0, 0
local replies = {}

local function finish(job, token, verdict, result, trace, error_json, started, handler, of, change)
  local record = fields(K.job .. job, 'lease', 'status', 'event', 'origin', 'cb', 'round', 'attempt')
  if record[1] ~= token or record[2] ~= 'started' then return 'fenced' end
  local queue = record[4] or 'default'
  keep_attempt(job, verdict == 'ignored' and 'finished' or verdict, worker, token, record[7] or '1', started,
    result, trace, error_json, handler, of)
  put('HSET', K.job .. job, 'status', verdict == 'failed' and 'failed' or 'finished', 'ended_at', stamp, 'lease', '')
  released.add(K.started .. queue, job .. ':' .. token)
  ended.add((verdict == 'failed' and K.failed or K.finished) .. queue, whole(now / 1000 + keep[verdict]), job)
  closed[#closed + 1] = job
  if verdict == 'ignored' then
    put('HSET', K.job .. job, 'outcome', 'ignored')
    put('ZADD', K.ignored, whole(now), job)
  else
    queue_callback(job, record[3] or event_of(job), record[5], tonumber(record[6]) or 1)
  end
  if verdict == 'failed' then failed_count = failed_count + 1 else finished_count = finished_count + 1 end
  tell(change)
  return verdict ~= 'ignored' and record[5] == 'pending' and 'called' or 'done'
end

for first = 4, #ARGV, 10 do
  replies[#replies + 1] = finish(unpack(ARGV, first, first + 9))
end
if #closed > 0 then
  released.write()
  ended.write()
  put('ZREM', K.open, unpack(closed))
  put('SREM', K.running .. worker, unpack(closed))
  if redis.call('EXISTS', K.worker .. worker) == 1 then
    count(K.worker .. worker, 'successful_job_count', finished_count)
    count(K.worker .. worker, 'failed_job_count', failed_count)
    if redis.call('EXISTS', K.running .. worker) == 0 then put('HSET', K.worker .. worker, 'state', 'idle') end
  end
  publish_changes()
end
return replies

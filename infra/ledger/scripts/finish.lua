-- finish: started → finished | failed | ignored; the result is kept and the callback queued in the outbox.
-- One script, because an outcome without its callback would be silence.
--
-- ARGV  1 worker · 2 retention in s · 3 retention of failures in s; then for each job 11 values:
--       job id · token · 'finished' | 'failed' | 'ignored' · result (RQ's base64 of JSON) or '' · trace (RQ's) or ''
--       error (JSON) or '' · started at, in s since 1970 · handler · most attempts · 'pending' | 'blocked' | '' for its
--       callback, as sealed · the change that watchers see (JSON)
-- Reply for each job 'done', 'called' where a callback was queued as well, or 'fenced' where the token does not hold it
-- any more and nothing was changed.

local worker = ARGV[1]
local keep = {finished = tonumber(ARGV[2]), ignored = tonumber(ARGV[2]), failed = tonumber(ARGV[3])}
local released, ended, closed = collector('ZREM'), collector('ZADD'), {}
local failures = 0
local replies = {}

local function finish(job, token, verdict, result, trace, error_json, started, handler, of, callback, change)
  local record = fields(K.job .. job, 'lease', 'status', 'origin', 'attempt', 'round', 'line', 'limit')
  if record[1] ~= token or record[2] ~= 'started' then return 'fenced' end
  local queue = is_queue(record[3]) and record[3] or 'default'
  local failing, ignored = verdict == 'failed', verdict == 'ignored'
  keep_attempt(job, verdict, worker, natural(record[4], 1), started, result, trace, error_json, handler, of)
  put('HSET', K.job .. job, 'status', failing and 'failed' or 'finished', 'ended_at', stamp, 'lease', '')
  released.add(K.started .. queue, job .. ':' .. token)
  ended.add((failing and K.failed or K.finished) .. queue, whole(now / 1000 + keep[verdict]), job)
  if ignored then
    put('HSET', K.job .. job, 'outcome', 'ignored')
    ended.add(K.ignored, whole(now), job)
  end
  leave_line(job, record[6])
  free_place(job, record[7])
  closed[#closed + 1] = job
  if failing then failures = failures + 1 end
  tell(change)
  return not ignored and queue_callback(job, callback, natural(record[5], 1)) and 'called' or 'done'
end

for first = 4, #ARGV, 11 do
  replies[#replies + 1] = finish(unpack(ARGV, first, first + 10))
end
if #closed > 0 then
  redis.call('DEL', K.scratch)
  released.write()
  ended.write()
  put('ZREM', K.open, unpack(closed))
  put('SREM', K.running .. worker, unpack(closed))
  if redis.call('EXISTS', K.worker .. worker) == 1 then
    if #closed > failures then count(K.worker .. worker, 'successful_job_count', #closed - failures) end
    if failures > 0 then count(K.worker .. worker, 'failed_job_count', failures) end
    if redis.call('EXISTS', K.running .. worker) == 0 then put('HSET', K.worker .. worker, 'state', 'idle') end
  end
  publish_changes()
end
return replies

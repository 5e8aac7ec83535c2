-- again: what is run again by hand. A failed job is queued in a new round ('retry'); an event gets one more job ('replay').
-- For a bulk replay, the next jobs of its plan, which then goes on behind them.
-- One script, because a round must not begin twice, and what one worker has had run again, the next must not.
--
-- ARGV  1 who wants it, or ''
--       2 bulk replay or '' · 3 its token · 4 how many of its plan these are · 5 when it goes on, in ms from now
--       then for each job 9 values:
--       'retry' | 'replay' · job id · event id · queue, or '' for the job's own · birth (seal + JSON) · timeout in s, or ''
--       line, or '' · how many jobs of the event whoever asks has seen, or '' · the change that watchers see (JSON);
--       those of the five before it that a retry needs not are ''
-- Reply for each 'done'; 'ended' where the job has not failed, 'there' where the new job is there already, or 'overtaken' where
-- the event has got another one than were seen: nothing was changed; 'spent' where there were too many rounds or jobs before;
-- '' where there is no such job or event.
-- {'fenced'} where the token does not hold the bulk replay any more, and nothing was changed.

local MOST_ROUNDS = 100   -- of one job; `retire` looks at no more callbacks
local MOST_FIELDS = 300   -- of one event: a hundred jobs and more
local by, run = ARGV[1], ARGV[2]

-- The end of a queue, or of the line that it has to stand in.
local function enqueue(job, queue, line)
  put('SADD', K.queues, K.queue .. queue)
  if line and put('RPUSH', K.line .. line, job) > 1 then
    park(job, queue)
  else
    put('RPUSH', K.queue .. queue, job)
  end
end

-- How the round ended that is over: what its callback still has to tell.
local function closing(job, attempt, started_at, ended_at)
  local newest = put('XREVRANGE', K.results .. job, '+', '-', 'COUNT', '1')[1] or {'0-0', {}}
  local error_json
  for place = 1, #newest[2], 2 do
    if newest[2][place] == 'error' then error_json = newest[2][place + 1] end
  end
  return cjson.encode({last = newest[1], attempts = attempt or '', started_at = started_at or '', ended_at = ended_at or '',
    error = error_json})
end

local function retry(job, event, queue, change)
  local record = fields(K.job .. job, 'status', 'origin', 'round', 'attempt', 'started_at', 'ended_at', 'line')
  if not record[1] or not is_job(job) then return '' end
  if record[1] ~= 'failed' then return 'ended' end
  local round, origin = natural(record[3], 1), is_queue(record[2]) and record[2] or 'default'
  if round >= MOST_ROUNDS then return 'spent' end
  if not birth_of(event, job) then return '' end
  if queue == '' then queue = origin end
  put('HSET', K.event .. event, 'round:' .. job, whole(round + 1))
  put('HSET', K.job .. job, 'round:' .. whole(round), closing(job, record[4], record[5], record[6]),
    'round', whole(round + 1), 'status', 'queued', 'origin', queue, 'attempt', '0', 'crashes', '0', 'lease', '',
    'enqueued_at', stamp)
  put('HDEL', K.job .. job, 'started_at', 'ended_at', 'meta')
  put('ZREM', K.failed .. origin, job)
  put('ZADD', K.open, put('ZSCORE', K.jobs, job) or whole(now), job)
  enqueue(job, queue, record[7])
  note_act(job, 'retry', by)
  tell(change)
  return 'done'
end

local function jobs_of(event)
  local count = 0
  for _, name in ipairs(put('HKEYS', K.event .. event)) do
    if string.sub(name, 1, 4) == 'job:' then count = count + 1 end
  end
  return count
end

local function replay(job, event, queue, birth, timeout, line, seen, change)
  local head, present = unpack(fields(K.event .. event, 'head', 'job:' .. job), 1, 2)
  local kind = kind_of(head)
  if not kind then return '' end
  if present then return 'there' end
  if seen ~= '' and jobs_of(event) ~= tonumber(seen) then return 'overtaken' end
  if put('HLEN', K.event .. event) >= MOST_FIELDS then return 'spent' end
  put('HSET', K.event .. event, 'job:' .. job, birth)
  put('HSET', K.replayed, job, event)
  put('HSET', K.job .. job, 'event', event, 'status', 'queued', 'origin', queue, 'attempt', '0', 'lease', '',
    'created_at', stamp, 'enqueued_at', stamp,
    'description', string.sub(string.gsub('replay ' .. kind, '[^%w%p ]', '?'), 1, 60),
    'data', '["worker.entry.run",null,["' .. job .. '"],{}]')
  if timeout ~= '' then put('HSET', K.job .. job, 'timeout', timeout) end
  if line ~= '' then put('HSET', K.job .. job, 'line', line) end
  put('ZADD', K.jobs, whole(now), job)
  put('ZADD', K.jobs_of .. kind, whole(now), job)
  put('SADD', K.kinds, kind)
  put('ZADD', K.open, whole(now), job)
  enqueue(job, queue, line ~= '' and line)
  note_act(job, 'replay', by)
  tell(change)
  return 'done'
end

if run ~= '' and fields(K.replay .. run, 'lease')[1] ~= ARGV[3] then return {'fenced'} end
local replies, begun, skipped = {}, {}, 0
for first = 6, #ARGV, 9 do
  local act, job, event, queue, birth, timeout, line, seen, change = unpack(ARGV, first, first + 8)
  local verdict = act == 'retry' and retry(job, event, queue, change)
    or act == 'replay' and replay(job, event, queue, birth, timeout, line, seen, change) or ''
  if verdict == 'done' then begun[#begun + 1] = job else skipped = skipped + 1 end
  replies[#replies + 1] = verdict
end
if run ~= '' then
  skipped = skipped + tonumber(ARGV[4]) - #replies
  put('LTRIM', K.replay_plan .. run, ARGV[4], '-1')
  if #begun > 0 then put('SADD', K.replay_open .. run, unpack(begun)) end
  put('HSET', K.replay .. run, 'lease', '')
  count(K.replay .. run, 'begun', #begun)
  count(K.replay .. run, 'skipped', skipped)
  put('ZADD', K.replays_due, whole(now + tonumber(ARGV[5])), run)
end
publish_changes()
return replies

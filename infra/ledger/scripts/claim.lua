-- claim: queued → started, under a lease token; jobs leave their queue's list and are started in one step.
-- One script, because a job between its list and its worker would be lost with the worker.
--
-- ARGV  1 worker · 2 sequence of this claim · 3 most jobs to take · 4 lease in ms · 5… queues, the first served first
-- Reply {now in ms, {job, event, token, queue, attempt, crashes, created_at, head, body, birth}, …}
-- A claim with the sequence of the last one gives the same jobs again: its reply may have been lost.
-- Every eighth claim starts further down the list of queues, so that the last is not starved.

local worker, sequence, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
local token = worker .. '-' .. sequence
local started, taken, running = collector('ZADD'), {}, {}
local reply = {whole(now)}

put('ZADD', K.leases, whole(now + tonumber(ARGV[4])), worker)

local function take(job)
  local record = fields(K.job .. job, 'status', 'event', 'attempt', 'crashes', 'origin', 'created_at', 'data', 'lease')
  local status, event, queue = record[1], record[2], record[5]
  if status == 'finished' or status == 'failed' or status == 'canceled' or status == 'scheduled' or status == 'deferred' then
    return   -- an old list entry of a job that has moved on
  end
  if status == 'started' then
    if record[8] ~= token then return end   -- it runs elsewhere
  elseif status ~= 'queued' or not event or not queue or not record[7] then
    event = rebuild(job, event)
    if not event then return end
    record = fields(K.job .. job, 'status', 'event', 'attempt', 'crashes', 'origin', 'created_at')
    queue = record[5]
  end
  local told = fields(K.event .. event, 'head', 'body', 'job:' .. job)
  if not told[1] or not told[2] or not told[3] then
    quarantine(job, 'its event is missing or mangled')
    return
  end
  local attempt = (tonumber(record[3]) or 0)
  if status ~= 'started' then
    attempt = attempt + 1
    put('HSET', K.job .. job, 'status', 'started', 'started_at', stamp, 'last_heartbeat', stamp, 'worker_name', worker,
      'lease', token, 'attempt', whole(attempt))
    started.add(K.started .. queue, FAR, job .. ':' .. token)
    running[#running + 1] = job
    tell(change_of(job, event, 'started', queue, told[1]))
  end
  taken[#taken + 1] = job
  reply[#reply + 1] = {job, event, token, queue, whole(attempt), record[4] or '0', record[6] or stamp,
    told[1], told[2], told[3]}
end

local held = fields(K.held .. worker, 'sequence', 'jobs')
local again = held[1] == sequence and decoded(held[2]) or nil
if again then
  for _, job in ipairs(again) do take(job) end
elseif most > 0 then
  local names = #ARGV - 4
  local turn = tonumber(sequence)
  local from = turn % 8 == 0 and (turn / 8) % names or 0
  local left = most
  for step = 0, names - 1 do
    local queue = ARGV[5 + (from + step) % names]
    local jobs = left > 0 and put('LPOP', K.queue .. queue, left) or {}
    for _, job in ipairs(jobs or {}) do take(job) end
    left = most - #taken
  end
end

if #running > 0 then
  started.write()
  put('SADD', K.running .. worker, unpack(running))
  if redis.call('EXISTS', K.worker .. worker) == 1 then put('HSET', K.worker .. worker, 'state', 'busy') end
  put('HSET', K.held .. worker, 'sequence', sequence, 'jobs', cjson.encode(taken))
  publish_changes()
end
return reply

-- claim: queued → started, under a lease token; jobs leave their queue's list and are started in one step.
-- One script, because a job between its list and its worker would be lost with the worker.
--
-- ARGV  1 worker · 2 sequence of this claim · 3 most jobs to take · 4 lease in ms · 5 number of queues
--       then the queues, the first served first; then for each handler of a source with limits 3 values:
--       its kind, which is `{source}:{type}` · its name · the most of its jobs that may run at a time, everywhere, or ''
-- Reply {now in ms, {job, event, token, queue, attempt, crashes, created_at, head, body, birth}, …}
-- A claim with the sequence of the last one gives the same jobs again: its reply may have been lost.
-- A job that has no place under its handler's limit is parked.
-- Every eighth claim starts further down the list of queues, so that the last is not starved.

local worker, sequence, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
local token = worker .. '-' .. sequence
local ROUNDS = 4               -- looks at a queue whose jobs may turn out to have no place
local room = 8 * 1024 * 1024   -- bytes of bodies that one reply may carry, or one body
local names = tonumber(ARGV[5])
local limits = {}
for first = 6 + names, #ARGV, 3 do limits[ARGV[first]] = {ARGV[first + 1], ARGV[first + 2]} end
local limited = next(limits) ~= nil
local started, taken, running = collector('ZADD'), {}, {}
local reply = {whole(now)}

put('ZADD', K.leases, whole(now + tonumber(ARGV[4])), worker)

-- Whether a job may run now, as far as its handler's limit goes; if not, it is parked. One that was let in and comes too
-- late keeps its turn.
local function has_place(job, queue, head, known)
  local told = select(2, known_of(head))
  local limit = told and (limits[tostring(told.source) .. ':' .. tostring(told.type)] or limits[tostring(told.source) .. ':*'])
  if not limit or limit[2] == '' or take_place(job, limit[1], limit[2]) then return true end
  park(job, queue)
  put('HSET', K.job .. job, 'limit', limit[1], 'origin', queue)
  put(known == limit[1] and 'LPUSH' or 'RPUSH', K.parked .. limit[1], job)
  return false
end

-- `popped` is the queue that the job was taken from; nil where the claim is repeated.
local function take(job, popped)
  local record = fields(K.job .. job, 'status', 'event', 'origin', 'attempt', 'crashes', 'created_at', 'data', 'lease', 'limit')
  local status, queue = record[1], popped or record[3] or 'default'
  local event = event_of(job, record[2])
  if status == 'started' then
    if popped or record[8] ~= token then return end   -- a second list entry, or it runs elsewhere
  elseif status == 'finished' or status == 'failed' or status == 'canceled' or status == 'scheduled' or status == 'deferred' then
    return   -- an old list entry of a job that has moved on
  elseif status ~= 'queued' or not record[7] or not is_job(job) then
    local origin, due
    event, origin, due = rebuild(job, record[2])
    if not event then return end
    if behind_others(job) then return park(job, origin) end
    if due > now then return schedule(job, origin, due) end
    record = fields(K.job .. job, 'status', 'event', 'origin', 'attempt', 'crashes', 'created_at')
  end
  local told = fields(K.event .. event, 'head', 'body', 'job:' .. job)
  if not told[3] then   -- the record names another's event, or none
    event = home_of(job)
    told = fields(K.event .. event, 'head', 'body', 'job:' .. job)
  end
  if not (told[1] and told[2] and told[3]) then
    quarantine(job, 'its event is missing or mangled')
    return
  end
  local attempt = record[4] or '0'
  if status ~= 'started' then
    if limited and not has_place(job, queue, told[1], record[9]) then return end
    attempt = whole(natural(record[4], 0) + 1)
    put('HSET', K.job .. job, 'status', 'started', 'started_at', stamp, 'worker_name', worker, 'lease', token,
      'attempt', attempt)
    if queue ~= record[3] then put('HSET', K.job .. job, 'origin', queue) end
    started.add(K.started .. queue, FAR, job .. ':' .. token)
    running[#running + 1] = job
    tell(change_of(job, event, 'started', queue, told[1]))
  end
  room = room - #told[2]
  taken[#taken + 1] = job
  reply[#reply + 1] = {job, event, token, queue, attempt, record[5] or '0', record[6] or stamp, told[1], told[2], told[3]}
end

local function take_from(queue)
  local key = K.queue .. queue
  local jobs = most > #taken and room > 0 and put('LPOP', key, most - #taken) or {}
  for place, job in ipairs(jobs) do
    if room <= 0 then   -- the rest goes back to the front, in its order
      for back = #jobs, place, -1 do put('LPUSH', key, jobs[back]) end
      return
    end
    take(job, queue)
  end
end

local held = fields(K.held .. worker, 'sequence', 'jobs')
local again = held[1] == sequence and held[2] and decoded(held[2]) or nil
if again then
  for _, job in ipairs(again) do
    if type(job) == 'string' then take(job) end
  end
else
  local turn = tonumber(sequence)
  local from = turn % 8 == 0 and (turn / 8) % names or 0
  for step = 0, names - 1 do
    for _ = 1, limited and ROUNDS or 1 do take_from(ARGV[6 + (from + step) % names]) end
  end
end

if #running > 0 then
  started.write()
  put('SADD', K.running .. worker, unpack(running))
  if redis.call('EXISTS', K.worker .. worker) == 1 then put('HSET', K.worker .. worker, 'state', 'busy') end
  put('HSET', K.held .. worker, 'sequence', sequence, 'jobs', cjson.encode(taken))
end
publish_changes()
return reply

-- sweep: looks at open jobs, a page a turn, and mends what stands nowhere it should: queued but in no list, scheduled but
-- due nowhere, parked behind nobody, started by a worker that holds no lease, mangled or gone, or ended by somebody else. Our own scripts close a
-- job in the step that ends it: an open job that has ended was a stock RQ worker's doing, and runs again; one that is
-- canceled was an operator's, and its caller is told.
-- One script, because what it reads must still be so when it writes.
--
-- ARGV  1 most jobs · 2 how long a job must have waited before its absence counts, in ms
-- Reply {mended, 1 if the walk reached its end}

local SEARCHED = '1000'   -- entries of a list that are searched for one job
local waited_since = now - tonumber(ARGV[2])
local mended = 0

-- Beyond the searched part a list is in order of time: a job older than what stands there is not behind it.
-- Where that is wrong the job gets a second entry, which does no harm: a claim looks at its status.
local function in_list(queue, job, since)
  local key = K.queue .. queue
  if put('LLEN', key) == 0 then return false end
  if redis.call('LPOS', key, job, 'MAXLEN', SEARCHED) then return true end
  local beyond = redis.call('LINDEX', key, SEARCHED)
  return beyond and since >= (unix(fields(K.job .. beyond, 'enqueued_at')[1]) or 0)
end

-- A stock worker lets records expire, and may have left the job in the list that it works from.
local function requeue(job, event, queue)
  put('HSET', K.job .. job, 'status', 'queued', 'enqueued_at', stamp, 'lease', '')
  redis.call('PERSIST', K.job .. job)
  redis.call('PERSIST', K.results .. job)
  put('SADD', K.queues, K.queue .. queue)
  put('LREM', K.queue .. queue .. ':intermediate', '0', job)
  put('RPUSH', K.queue .. queue, job)
  tell(change_of(job, event, 'queued', queue))
  mended = mended + 1
end

local function wait_or_requeue(job, event, queue, due)
  if due > now and due < 1e14 then
    schedule(job, queue, due)
    mended = mended + 1
  else
    requeue(job, event, queue)
  end
end

local function close_canceled(job, event, queue, lease)
  local born = birth_of(event, job)
  local round, line, limit = unpack(fields(K.job .. job, 'round', 'line', 'limit'), 1, 3)
  put('HSET', K.job .. job, 'ended_at', stamp, 'lease', '')
  redis.call('PERSIST', K.job .. job)
  put('ZREM', K.started .. queue, job .. ':' .. lease)
  put('ZREM', K.open, job)
  put('ZADD', K.canceled .. queue, 'NX', whole(now / 1000), job)
  if queue_callback(job, born and born.callback, natural(round, 1)) then
    redis.call('PUBLISH', K.wake, 'outbox')
  end
  leave_line(job, line)
  free_place(job, limit)
  redis.call('PUBLISH', K.wake, 'cancel ' .. job)
  tell(change_of(job, event, 'canceled', queue))
  mended = mended + 1
end

local function is_listed(list, job)
  return redis.call('LPOS', list, job, 'MAXLEN', SEARCHED) or redis.call('LLEN', list) > tonumber(SEARCHED)
end

-- A line knows all its open jobs. Where it was lost, those that may run stand before those that wait: `push` says which.
local function stand_in_line(job, line, push)
  local list = K.line .. line
  put('LLEN', list)
  if is_listed(list, job) then return end
  redis.call(push, list, job)
  mended = mended + 1
end

-- The places of a limit are held by jobs that run.
local seen = {}
local function look_at_limit(limit)
  if seen[limit] then return end
  seen[limit] = true
  local held = put('SMEMBERS', K.holding .. limit)
  local left = #held
  for _, job in ipairs(held) do
    local status, of = unpack(fields(K.job .. job, 'status', 'limit'), 1, 2)
    if status ~= 'started' or of ~= limit then
      put('SREM', K.holding .. limit, job)
      left = left - 1
    end
  end
  if left < #held or left == 0 then let_in(limit) end
end

local function look_at_parked(job, line, limit)
  if limit then
    put('LLEN', K.parked .. limit)
    if not is_listed(K.parked .. limit, job) then
      redis.call('RPUSH', K.parked .. limit, job)
      mended = mended + 1
    end
    look_at_limit(limit)
  elseif line then
    stand_in_line(job, line, 'RPUSH')
    advance(line)
  else
    unpark(job)
    mended = mended + 1
  end
end

-- Whether its worker lives. If the leases themselves were lost, what the worker holds says so until it renews.
local function held_by(lease)
  local worker = string.match(lease, '^(.*)%-%d+$')
  if not worker then return nil end
  if put('ZSCORE', K.leases, worker) then return worker, true end
  local known = fields(K.held .. worker, 'sequence', 'lost')
  return worker, known[1] and not known[2]
end

local function look_at_started(job, event, queue, lease, started_at)
  local worker, alive = held_by(lease)
  if alive then
    if put('SADD', K.running .. worker, job) == 1 then mended = mended + 1 end   -- so that a takeover finds it
    put('ZADD', K.started .. queue, FAR, job .. ':' .. lease)
  elseif worker or (unix(started_at) or 0) <= waited_since then
    if worker then put('SREM', K.running .. worker, job) end
    put('ZREM', K.started .. queue, job .. ':' .. lease)
    requeue(job, event, queue)
  end
end

local function look_at(job)
  local record = fields(K.job .. job, 'status', 'event', 'origin', 'lease', 'enqueued_at', 'data', 'started_at', 'due',
    'line', 'limit')
  local status, queue, lease = record[1], record[3], record[4] or ''
  local event, line = event_of(job, record[2]), record[9]
  if not record[6] or not is_queue(queue) or not is_job(job) then status = 'mangled' end
  if line and (status == 'queued' or status == 'scheduled' or status == 'started') then stand_in_line(job, line, 'LPUSH') end
  if status == 'queued' then
    local since = unix(record[5]) or 0
    if since <= waited_since and not in_list(queue, job, since) then requeue(job, event, queue) end
  elseif status == 'scheduled' then
    local due = tonumber(record[8] or '') or 0
    local score = tonumber(put('ZSCORE', K.scheduled .. queue, job) or '')
    if not score or (due > 0 and score * 1000 > due + 1000) then wait_or_requeue(job, event, queue, due) end
  elseif status == 'started' then
    look_at_started(job, event, queue, lease, record[7])
  elseif status == 'canceled' then
    close_canceled(job, event, queue, lease)
  elseif status == 'finished' or status == 'failed' then
    put('ZREM', (status == 'finished' and K.finished or K.failed) .. queue, job)
    requeue(job, event, queue)
  elseif status == 'deferred' then
    look_at_parked(job, line, record[10])
  else
    local due
    event, queue, due = rebuild(job, record[2])
    if event and behind_others(job) then
      park(job, queue)
    elseif event and not in_list(queue, job, now) then wait_or_requeue(job, event, queue, due) end
  end
end

local jobs, ended = page(K.open, K.cursor .. 'open', ARGV[1], '+inf')
for _, entry in ipairs(jobs) do look_at(entry[1]) end
publish_changes()
return {mended, ended and 1 or 0}

-- retire: removes what is past retention, oldest first, a page a turn: jobs that ended long enough ago, with their results,
-- logs, steps, callbacks and index entries, and the event when its last job is gone. A job whose callback waits stays until that
-- has ended, one whose callback is a dead letter for as long as that is kept.
-- One script, because half a record is worse than an old one.
--
-- ARGV  1 most jobs · 2 retention in ms · 3 retention of failures in ms
-- Reply {removed, 1 if the walk reached its end}

local keep, keep_dead = tonumber(ARGV[2]), tonumber(ARGV[3])
local gone, kinds, removed = collector('ZREM'), {}, 0

-- When the job may go, in ms; nil while it is open.
local function kept_until(job, created, status, ended_at)
  if status == 'finished' or status == 'canceled' then return (unix(ended_at) or created) + keep end
  if status == 'failed' then return (unix(ended_at) or created) + keep_dead end
  if status or put('ZSCORE', K.open, job) then return nil end
  return created + keep_dead   -- its record is lost, and nobody will make it anew
end

-- The ids of a job's callbacks and their statuses; nil while one of them must be kept.
local function callbacks_of(job, rounds)
  local found = {}
  for round = 1, math.min(rounds, 100) do
    local id = callback_of(job, round)
    local status = fields(K.callback .. id, 'status')[1]
    if status == 'pending' then return nil end
    if status == 'dead' and (put('ZSCORE', K.callbacks_as .. status, id) or now) + keep_dead > now then return nil end
    if status then found[#found + 1] = {id, status} end
  end
  return found
end

local function remove(job, event, queue, callbacks)
  local kind = kind_of(fields(K.event .. event, 'head')[1])
  if kind then
    gone.add(K.jobs_of .. kind, job)
    kinds[kind] = true
  end
  for _, index in ipairs({K.jobs, K.ignored, K.finished .. queue, K.failed .. queue, K.canceled .. queue}) do
    gone.add(index, job)
  end
  for _, callback in ipairs(callbacks) do
    gone.add(K.callbacks, callback[1])
    gone.add(K.callbacks_as .. callback[2], callback[1])
    redis.call('DEL', K.callback .. callback[1])
  end
  redis.call('DEL', K.job .. job, K.results .. job, K.log .. job, K.steps .. job, K.acts .. job)
  put('HDEL', K.quarantine, job)
  if event ~= event_of(job) then put('HDEL', K.replayed, job) end
  put('HDEL', K.event .. event, 'job:' .. job, 'round:' .. job)
  for _, name in ipairs(put('HKEYS', K.event .. event)) do
    if string.sub(name, 1, 4) == 'job:' then return end
  end
  redis.call('DEL', K.event .. event)
end

local function look_at(job, created)
  if not is_job(job) then gone.add(K.jobs, job) return end
  local record = fields(K.job .. job, 'status', 'ended_at', 'event', 'origin', 'round')
  local due = kept_until(job, created, record[1], record[2])
  if not due or due > now then return end
  local callbacks = callbacks_of(job, natural(record[5], 1))
  if not callbacks then return end
  local event = record[3] and event_of(job, record[3]) or home_of(job)
  remove(job, event, is_queue(record[4]) and record[4] or 'default', callbacks)
  removed = removed + 1
end

local jobs, ended = page(K.jobs, K.cursor .. 'jobs', ARGV[1], whole(now - math.min(keep, keep_dead)))
for _, entry in ipairs(jobs) do look_at(entry[1], entry[2]) end
gone.write()
for kind in pairs(kinds) do
  if redis.call('EXISTS', K.jobs_of .. kind) == 0 then put('SREM', K.kinds, kind) end
end
return {removed, ended and 1 or 0}

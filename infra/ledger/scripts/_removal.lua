-- Stands before the scripts that remove records whole, and before the one that says which may go.

local gone, kinds = collector('ZREM'), {}

-- When a job may go, in ms; nil while it is open.
local function kept_until(job, created, status, ended_at, keep, keep_dead)
  if status == 'finished' or status == 'canceled' then return (unix(ended_at) or created) + keep end
  if status == 'failed' then return (unix(ended_at) or created) + keep_dead end
  if status or put('ZSCORE', K.open, job) then return nil end
  return created + keep_dead   -- its record is lost, and nobody will make it anew
end

-- The ids of a job's callbacks, their statuses and how often each was tried.
local function callbacks_of(job, rounds)
  local found = {}
  for round = 1, math.min(rounds, 100) do
    local id = callback_of(job, round)
    local status, attempts = unpack(fields(K.callback .. id, 'status', 'attempts'), 1, 2)
    if status then found[#found + 1] = {id, status, attempts or ''} end
  end
  return found
end

-- Whether one of these callbacks must be kept.
local function is_needed(callbacks, keep_dead)
  for _, callback in ipairs(callbacks) do
    local id, status = callback[1], callback[2]
    if status == 'pending' then return true end
    if status == 'dead' and (put('ZSCORE', K.callbacks_as .. status, id) or now) + keep_dead > now then return true end
  end
  return false
end

-- A job that is past its retention: its event, its queue, its callbacks, and its version, which is another one after
-- whatever is done to it. Nil where it stays.
local function past_retention(job, created, keep, keep_dead)
  local record = fields(K.job .. job, 'status', 'ended_at', 'event', 'origin', 'round')
  local due = kept_until(job, created, record[1], record[2], keep, keep_dead)
  if not due or due > now then return nil end
  local callbacks = callbacks_of(job, natural(record[5], 1))
  if is_needed(callbacks, keep_dead) then return nil end
  local version = {record[1] or '', record[2] or '', record[5] or '', whole(put('LLEN', K.acts .. job))}
  for _, callback in ipairs(callbacks) do version[#version + 1] = callback[2] .. ' ' .. callback[3] end
  return {
    event = record[3] and event_of(job, record[3]) or home_of(job),
    queue = is_queue(record[4]) and record[4] or 'default',
    callbacks = callbacks,
    version = table.concat(version, ' '),
  }
end

-- A job with its results, log, steps, callbacks and index entries, and its event where it was the last of it.
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

local function write_removals()
  gone.write()
  for kind in pairs(kinds) do
    if redis.call('EXISTS', K.jobs_of .. kind) == 0 then put('SREM', K.kinds, kind) end
  end
end

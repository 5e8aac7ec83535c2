-- Behind _removal.lua.
-- erase: removes an event and all of its jobs, whatever state they are in, wherever they stand, and what else tells of them.
-- Whoever runs one is told to stop; nobody is called back. Its provider's id stays known, as a digest, for its window, so that what
-- is sent again is a duplicate and not stored.
-- One script, because a job without its event would be put aside and shown.
--
-- ARGV  1 event id · 2 how many ids of the live stream's entries follow; those ids; then keys that were set aside and hold part of it
-- Reply the ids of the jobs that were removed

local event = ARGV[1]
local known = {}

local function is_known(job) return known[job] ~= nil end

local function find()
  local found = {}
  local function note_job(job)
    if is_job(job) and not is_known(job) then known[job] = true; found[#found + 1] = job end
  end
  for _, name in ipairs(put('HKEYS', K.event .. event)) do
    if string.sub(name, 1, 4) == 'job:' then note_job(string.sub(name, 5)) end
  end
  local home = 'job_' .. string.sub(event, 5)
  if redis.call('EXISTS', K.job .. home, K.results .. home, K.log .. home, K.steps .. home) > 0 then note_job(home) end
  return found
end

-- Out of every list and set that a job stands in while it is open.
local function withdraw(job, queue, record)
  local lease, line, limit = record[3] or '', record[5], record[6]
  put('LREM', K.queue .. queue, '0', job)
  put('LREM', K.queue .. queue .. ':intermediate', '0', job)
  for _, index in ipairs({K.scheduled .. queue, K.deferred .. queue, K.open}) do put('ZREM', index, job) end
  local worker = string.match(lease, '^(.*)%-%d+$')
  if worker then
    put('ZREM', K.started .. queue, job .. ':' .. lease)
    put('SREM', K.running .. worker, job)
    redis.call('PUBLISH', K.wake, 'cancel ' .. job)
  end
  if limit then put('LREM', K.parked .. limit, '0', job) end
  stop_waiting(job, record[7])
  put('HSET', K.job .. job, 'status', 'canceled')   -- or its line would take it for its head
  leave_line(job, line)
  free_place(job, limit)
end

local function erase(job)
  local record = fields(K.job .. job, 'status', 'origin', 'lease', 'round', 'line', 'limit', 'waiting')
  local queue = is_queue(record[2]) and record[2] or 'default'
  withdraw(job, queue, record)
  local callbacks = callbacks_of(job, natural(record[4], 1))
  for _, callback in ipairs(callbacks) do put('ZREM', K.outbox, callback[1]) end
  remove(job, event, queue, callbacks)
end

-- What failed last at one place is told with its message.
local function forget_failures()
  local groups = put('HGETALL', K.failures)
  for place = 1, #groups, 2 do
    if is_known(string.match(groups[place + 1], '^%d+ %d+ %d+ %d+ %d+ (%S+)') or '') then
      put('HDEL', K.failures, groups[place])
    end
  end
end

if not is_event(event) then return {} end
local told = decoded(fields(K.event .. event, 'head')[1] or '')
local jobs = find()
for _, job in ipairs(jobs) do erase(job) end
write_removals()
redis.call('DEL', K.event .. event)
forget_failures()
if told and type(told.source) == 'string' then redis.call('DEL', K.refused .. told.source) end
local entries = tonumber(ARGV[2])
for place = 3, 2 + entries do put('XDEL', K.live, ARGV[place]) end
for place = 3 + entries, #ARGV do redis.call('DEL', ARGV[place]) end
return jobs

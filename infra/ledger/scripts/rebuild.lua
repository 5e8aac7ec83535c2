-- rebuild: makes the indices anew from the events, which are the truth, a part of the key space a turn; only where one was
-- set aside, or has lost the mark that each keeps so that an empty one can be told from a lost one.
-- One script, because an entry must be right when it is written.
--
-- ARGV  1 keys to look at, about · 2 retention in s · 3 retention of failures in s
-- Reply {entries put back, 1 if there is no more to do}

local MARKED = {K.jobs, K.open, K.callbacks_as .. 'pending'}
local CALLBACK_STATUSES = {pending = true, delivered = true, blocked = true, dead = true}
local restored = 0

local function restore(index, score, member)
  restored = restored + put('ZADD', index, 'NX', whole(score), member)
end

local function restore_callbacks(job, rounds)
  for round = 1, math.min(rounds, 100) do
    local id = callback_of(job, round)
    local record = fields(K.callback .. id, 'status', 'created_at')
    if CALLBACK_STATUSES[record[1]] then
      local created = tonumber(record[2] or '') or now
      restore(K.callbacks, created, id)
      restore(K.callbacks_as .. record[1], created, id)
    end
  end
end

local function restore_job(job, kind)
  local record = fields(K.job .. job, 'status', 'origin', 'created_at', 'ended_at', 'outcome', 'round')
  local status, queue = record[1], is_queue(record[2]) and record[2] or 'default'
  if not status then return end   -- the sweep makes it anew, if it is open
  local created, ended = unix(record[3]) or now, unix(record[4]) or now
  restore(K.jobs, created, job)
  if kind then
    restore(K.jobs_of .. kind, created, job)
    put('SADD', K.kinds, kind)
  end
  if status == 'finished' then
    restore(K.finished .. queue, ended / 1000 + tonumber(ARGV[2]), job)
    if record[5] == 'ignored' then restore(K.ignored, ended, job) end
  elseif status == 'failed' then
    restore(K.failed .. queue, ended / 1000 + tonumber(ARGV[3]), job)
  elseif status ~= 'canceled' then
    restore(K.open, created, job)
  end
  restore_callbacks(job, natural(record[6], 1))
end

local function restore_event(key)
  local kind = kind_of(fields(key, 'head')[1])
  for _, name in ipairs(put('HKEYS', key)) do
    local job = string.match(name, '^job:(job_%w+)$')
    if job then
      local event = string.sub(key, #K.event + 1)
      if event ~= event_of(job) then put('HSET', K.replayed, job, event) end
      restore_job(job, kind)
    end
  end
end

local cursor = redis.pcall('GET', K.cursor .. 'rebuild')
if failed(cursor) then tells_of_key(cursor); set_aside(K.cursor .. 'rebuild'); cursor = '0' end
if not cursor then
  local lost = false
  for _, index in ipairs(MARKED) do lost = lost or not put('ZSCORE', index, MARK) end
  if not lost then return {0, 1} end
end
cursor = cursor and string.match(cursor, '^%d+$') or '0'
if cursor == '0' then
  for _, index in ipairs(MARKED) do put('ZADD', index, '0', MARK) end
end
local found = redis.pcall('SCAN', cursor, 'MATCH', K.event .. '*', 'COUNT', ARGV[1])
if failed(found) then found = redis.call('SCAN', '0', 'MATCH', K.event .. '*', 'COUNT', ARGV[1]) end   -- no cursor at all
redis.call('SET', K.cursor .. 'rebuild', found[1])
for _, key in ipairs(found[2]) do restore_event(key) end
if found[1] ~= '0' or redis.call('GET', K.cursor .. 'rebuild') ~= '0' then return {restored, 0} end
redis.call('DEL', K.cursor .. 'rebuild')
return {restored, 1}

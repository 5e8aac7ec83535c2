-- accept: nothing → event stored, its id claimed, its job queued, scheduled, or parked behind the others of its line.
-- Jobs that wait for the event are queued.
-- One script, because a claimed id without its event would swallow the sender's next try, and a waiting job must not miss it.
--
-- ARGV  1 deduplication window in ms; then for each arrival 15 values:
--       event id · job id · deduplication key or '' · digest of the body · head (JSON) · body · birth (seal + JSON)
--       source · type · queue · timeout in s, or '' for the usual one
--       due in ms since 1970, or '+' and in how many ms from now, or ''
--       line, or '' where it has no ordering key · what it can be waited for by besides its id (a digest), or ''
--       the change that watchers see (JSON)
-- Reply for each arrival {event id, job id, 'new' | 'same' | 'differs'}: the first ids where it is a duplicate.
-- Running it again with the same ids changes nothing and replies the same.

local window = ARGV[1]
local created = whole(now)
local index, due, pushed, names = collector('ZADD'), collector('ZADD'), collector('RPUSH'), collector('SADD')
local named = {}
local replies, woken = {}, false
local awaited   -- whether any job may wait for an event

local function name(set, member)
  if not named[set .. member] then named[set .. member] = true; names.add(set, member) end
end

local function type_in(head) return string.match(head, '^{"source":"[%w-]+","type":"([^"]*)"') end

-- The first ids; whether it brought the same type and body is counted with the first event, while that is kept.
local function duplicate(first, digest, told)
  local job, verdict = 'job_' .. string.sub(first, 5), 'same'
  local head = fields(K.event .. first, 'head')[1]
  if head then
    local same = string.match(head, ',"at":%d+,"digest":"([%w_-]+)"') == digest and type_in(head) == type_in(told)
    if not same then verdict = 'differs' end
    count(K.event .. first, verdict == 'same' and 'duplicates' or 'differing', 1)
  end
  return {first, job, verdict}
end

-- The jobs that wait for an event go on, and know which one it was.
local function rouse(key, event)
  for _, job in ipairs(put('SPOP', K.waiting .. key, WOKEN_AT_ONCE)) do
    local record = fields(K.job .. job, 'status', 'origin', 'event', 'waiting')
    if record[4] == key and is_job(job) then
      put('HSETNX', K.steps .. job, 'came:' .. key, event)
      put('HDEL', K.job .. job, 'waiting', 'due')
      if record[1] == 'scheduled' then
        local queue = is_queue(record[2]) and record[2] or 'default'
        put('HSET', K.job .. job, 'status', 'queued', 'enqueued_at', stamp)
        put('ZREM', K.scheduled .. queue, job)
        pushed.add(K.queue .. queue, job)
        tell(change_of(job, event_of(job, record[3]), 'queued', queue))
      end
    end
  end
end

local function announce(event, seen, wait_key)
  if wait_key ~= '' then put('SET', K.arrived .. wait_key, event, 'PX', window) end
  if awaited == nil then awaited = redis.call('EXISTS', K.awaited) == 1 end
  if not awaited then return end
  if seen ~= '' then rouse(seen, event) end
  if wait_key ~= '' then rouse(wait_key, event) end
end

for first = 2, #ARGV, 15 do
  local event, job, seen, digest, head, body, birth, source, type, queue, timeout, run_at, line, wait_key, change =
    unpack(ARGV, first, first + 14)
  local earlier = seen ~= '' and put('SET', K.seen .. seen, event, 'PX', window, 'NX', 'GET')
  if earlier and not is_event(earlier) then
    put('SET', K.seen .. seen, event, 'PX', window)   -- what stood there names no event
    earlier = false
  end
  if earlier and earlier ~= event then
    replies[#replies + 1] = duplicate(earlier, digest, head)
  else
    replies[#replies + 1] = {event, job, 'new'}
    if put('HSET', K.event .. event, 'head', head, 'body', body, 'job:' .. job, birth) > 0 then
      local waits = run_at ~= ''
      if string.sub(run_at, 1, 1) == '+' then run_at = whole(now + tonumber(run_at)) end
      put('HSET', K.job .. job, 'status', waits and 'scheduled' or 'queued', 'origin', queue, 'attempt', '0', 'lease', '',
        'created_at', stamp, 'enqueued_at', stamp,
        'description', string.sub(string.gsub(source .. ' ' .. type, '[^%w%p ]', '?'), 1, 60),
        'data', '["worker.entry.run",null,["' .. job .. '"],{}]')
      index.add(K.jobs, created, job)
      index.add(K.jobs_of .. source .. ':' .. type, created, job)
      index.add(K.open, created, job)
      name(K.kinds, source .. ':' .. type)
      name(K.queues, K.queue .. queue)
      if timeout ~= '' then put('HSET', K.job .. job, 'timeout', timeout) end
      if waits then put('HSET', K.job .. job, 'due', run_at) end
      if line ~= '' then put('HSET', K.job .. job, 'line', line) end
      if line ~= '' and put('RPUSH', K.line .. line, job) > 1 then
        park(job, queue)
      elseif waits then
        due.add(K.scheduled .. queue, seconds(tonumber(run_at)), job)
        woken = true
      else
        pushed.add(K.queue .. queue, job)
      end
      tell(change)
      announce(event, seen, wait_key)
    end
  end
end

index.write()
names.write()
due.write()
pushed.write()
publish_changes()
if woken then redis.call('PUBLISH', K.wake, 'schedule') end
return replies

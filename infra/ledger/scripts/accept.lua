-- accept: nothing → event stored, its id claimed, its job queued, scheduled, or parked behind the others of its line.
-- One script, because a claimed id without its event would swallow the sender's next try.
--
-- ARGV  1 deduplication window in ms; then for each arrival 14 values:
--       event id · job id · deduplication key or '' · digest of the body · head (JSON) · body · birth (seal + JSON)
--       source · type · queue · timeout in s, or '' for the usual one · due in ms since 1970, or ''
--       line, or '' where it has no ordering key · the change that watchers see (JSON)
-- Reply for each arrival {event id, job id, 'new' | 'same' | 'differs'}: the first ids where it is a duplicate.
-- Running it again with the same ids changes nothing and replies the same.

local window = ARGV[1]
local created = whole(now)
local index, due, pushed, names = collector('ZADD'), collector('ZADD'), collector('RPUSH'), collector('SADD')
local named = {}
local replies, woken = {}, false

local function name(set, member)
  if not named[set .. member] then named[set .. member] = true; names.add(set, member) end
end

-- The first ids; whether it brought the same body is counted with the first event, while that is kept.
local function duplicate(first, digest)
  local job, verdict = 'job_' .. string.sub(first, 5), 'same'
  local head = fields(K.event .. first, 'head')[1]
  if head then
    if string.match(head, ',"at":%d+,"digest":"([%w_-]+)"') ~= digest then verdict = 'differs' end
    count(K.event .. first, verdict == 'same' and 'duplicates' or 'differing', 1)
  end
  return {first, job, verdict}
end

for first = 2, #ARGV, 14 do
  local event, job, seen, digest, head, body, birth, source, type, queue, timeout, run_at, line, change = unpack(ARGV, first, first + 13)
  local earlier = seen ~= '' and put('SET', K.seen .. seen, event, 'PX', window, 'NX', 'GET')
  if earlier and not is_event(earlier) then
    put('SET', K.seen .. seen, event, 'PX', window)   -- what stood there names no event
    earlier = false
  end
  if earlier and earlier ~= event then
    replies[#replies + 1] = duplicate(earlier, digest)
  else
    replies[#replies + 1] = {event, job, 'new'}
    if put('HSET', K.event .. event, 'head', head, 'body', body, 'job:' .. job, birth) > 0 then
      local waits = run_at ~= ''
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

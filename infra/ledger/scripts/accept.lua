-- accept: nothing → event stored, its id claimed, its job queued (or scheduled).
-- One script, because a claimed id without its event would swallow the sender's next try.
--
-- ARGV  1 deduplication window in ms; then for each arrival 13 values:
--       event id · job id · deduplication key or '' · digest of the body · head (JSON) · body · birth (seal + JSON)
--       source · type · queue · timeout in s · due in ms since 1970, or '' · the change that watchers see (JSON)
-- Reply for each arrival {event id, job id, 'new' | 'same' | 'differs'}: the first ids where it is a duplicate.
-- Running it again with the same ids changes nothing and replies the same.

local window = ARGV[1]
local index, open, pushed, due = collector('ZADD'), collector('ZADD'), collector('RPUSH'), collector('ZADD')
local queues = collector('SADD')
local replies, woken = {}, false

local function accept(event, job, seen, digest, head, body, birth, source, type, queue, timeout, run_at, change)
  if seen ~= '' then
    local first = put('SET', K.seen .. seen, event .. ' ' .. job .. ' ' .. digest, 'PX', window, 'NX', 'GET')
    if first and first ~= event .. ' ' .. job .. ' ' .. digest then
      local first_event, first_job, first_digest = string.match(first, '^(evt_%w+) (job_%w+) (%w*)$')
      if first_event then
        local same = first_digest == digest
        if redis.call('EXISTS', K.event .. first_event) == 1 then
          count(K.event .. first_event, same and 'duplicates' or 'differing', 1)
        end
        return {first_event, first_job, same and 'same' or 'differs'}
      end
      put('SET', K.seen .. seen, event .. ' ' .. job .. ' ' .. digest, 'PX', window)   -- what stood there names no event
    end
  end
  if put('HSET', K.event .. event, 'head', head, 'body', body, 'job:' .. job, birth) == 0 then
    return {event, job, 'new'}
  end
  local born = string.sub(birth, 23)
  local callback = string.match(born, '"callback":"(%a+)"') or ''
  put('HSET', K.job .. job, 'created_at', stamp, 'enqueued_at', stamp, 'origin', queue, 'event', event, 'cb', callback,
    'status', run_at == '' and 'queued' or 'scheduled', 'timeout', timeout,
    'description', string.sub(string.gsub(source .. ' ' .. type, '[^%w%p ]', '?'), 1, 60), 'data', '["worker.entry.run",null,["' .. job .. '"],{}]')
  index.add(K.jobs, whole(now), job)
  index.add(K.jobs_of_source .. source, whole(now), job)
  index.add(K.jobs_of_type .. type, whole(now), job)
  open.add(K.open, whole(now), job)
  queues.add(K.queues, K.queue .. queue)
  if run_at == '' then
    pushed.add(K.queue .. queue, job)
  else
    due.add(K.scheduled .. queue, seconds(tonumber(run_at)), job)
    woken = true
  end
  tell(change)
  return {event, job, 'new'}
end

for first = 2, #ARGV, 13 do
  replies[#replies + 1] = accept(unpack(ARGV, first, first + 12))
end
index.write()
open.write()
queues.write()
due.write()
pushed.write()
publish_changes()
if woken then redis.call('PUBLISH', K.wake, 'schedule') end
return replies

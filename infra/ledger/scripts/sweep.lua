-- sweep: looks at open jobs, a bounded number a turn from a shared cursor, and mends what stands nowhere it should:
-- queued but in no list, scheduled but not due anywhere, started by a worker that holds no lease, mangled or gone, or
-- ended by somebody else: our own scripts close a job in the step that ends it, so an open job that has ended was a stock
-- RQ worker's or a tool's doing, and nobody was called back.
-- One script, because what it reads must still be so when it writes.
--
-- ARGV  1 most jobs · 2 how long a job must have waited before its absence counts, in ms
-- Reply {looked at, mended, 1 if the walk reached its end}

local most, patience = tonumber(ARGV[1]), tonumber(ARGV[2])
local mended = 0
local SEARCHED = 1000   -- entries of a list that are searched for one job

-- Beyond the searched part a list is in order of time: a job older than what stands there is not behind it.
-- Where that is wrong the job gets a second entry, which does no harm: a claim looks at its status.
local function in_list(queue, job, enqueued_at)
  local key = K.queue .. queue
  if put('LLEN', key) == 0 then return false end
  if redis.call('LPOS', key, job, 'MAXLEN', SEARCHED) then return true end
  local beyond = redis.call('LINDEX', key, SEARCHED)
  return beyond and enqueued_at >= (fields(K.job .. beyond, 'enqueued_at')[1] or '')
end

local function requeue(job, event, queue)
  put('HSET', K.job .. job, 'status', 'queued', 'enqueued_at', stamp, 'lease', '')
  put('SADD', K.queues, K.queue .. queue)
  put('RPUSH', K.queue .. queue, job)
  tell(change_of(job, event, 'queued', queue))
  mended = mended + 1
end

local function mend(job)
  local record = fields(K.job .. job, 'status', 'event', 'origin', 'lease', 'enqueued_at', 'data')
  local status, event, queue, lease = record[1], record[2], record[3], record[4] or ''
  local ended = status == 'finished' or status == 'failed' or status == 'canceled'
  if ended and event and queue and record[6] then
    put('ZREM', (status == 'finished' and K.finished or status == 'failed' and K.failed or K.canceled) .. queue, job)
    requeue(job, event, queue)
  elseif not event or not queue or not record[6] or (status ~= 'queued' and status ~= 'scheduled' and status ~= 'started') then
    event = rebuild(job, event)
    if event then requeue(job, event, fields(K.job .. job, 'origin')[1]) end
  elseif status == 'queued' then
    if (record[5] or '') < iso(now - patience) and not in_list(queue, job, record[5] or '') then requeue(job, event, queue) end
  elseif status == 'scheduled' then
    if not put('ZSCORE', K.scheduled .. queue, job) then requeue(job, event, queue) end
  else
    local worker = string.match(lease, '^(.*)%-%d+$')
    local alive = worker and put('ZSCORE', K.leases, worker)
    if not alive then
      put('ZREM', K.started .. queue, job .. ':' .. lease)
      requeue(job, event, queue)
    elseif put('SISMEMBER', K.running .. worker, job) == 0 then
      put('SADD', K.running .. worker, job)   -- so that a takeover finds it
      mended = mended + 1
    end
  end
end

local cursor = redis.pcall('GET', K.cursor)
if failed(cursor) then set_aside(K.cursor) cursor = false end
local from = cursor and string.match(cursor, '^%d+$') or '0'
local page = put('ZRANGE', K.open, '(' .. from, '+inf', 'BYSCORE', 'LIMIT', 0, most, 'WITHSCORES')
local last = from
for place = 1, #page, 2 do
  last = whole(tonumber(page[place + 1]))
end
-- The jobs of the last millisecond may go on behind the page: take them whole.
local rest = #page > 0 and put('ZRANGE', K.open, last, last, 'BYSCORE') or {}
local looked = {}
for place = 1, #page, 2 do looked[page[place]] = true; mend(page[place]) end
for _, job in ipairs(rest) do if not looked[job] then mend(job) end end
local ended = #page < most * 2
redis.call('SET', K.cursor, ended and '0' or last)
publish_changes()
return {#page / 2, mended, ended and 1 or 0}

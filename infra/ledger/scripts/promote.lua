-- promote: scheduled → queued, when due on Redis's clock.
-- One script, because a due job is queued once, however many workers look.
--
-- ARGV  1 most jobs for each queue · 2… queues
-- Reply {number queued, ms until the next is due or -1}
-- A job that was given back untouched, for a while, keeps its turn: it goes to the front of its queue.

local LONGEST = 86400000   -- a score may be anything; nobody needs to know of more than a day
local pushed, gone, front = collector('RPUSH'), collector('ZREM'), {}
local queued, next_due = 0, -1

for place = 2, #ARGV do
  local queue = ARGV[place]
  local key = K.scheduled .. queue
  for _, job in ipairs(put('ZRANGE', key, '-inf', seconds(now), 'BYSCORE', 'LIMIT', '0', ARGV[1])) do
    local record = fields(K.job .. job, 'status', 'event', 'waiting', 'turn')
    gone.add(key, job)
    stop_waiting(job, record[3])
    if record[1] == 'scheduled' then
      put('HSET', K.job .. job, 'status', 'queued', 'enqueued_at', stamp)
      if is_job(job) then tell(change_of(job, event_of(job, record[2]), 'queued', queue)) end
      if record[4] then
        put('HDEL', K.job .. job, 'turn')
        front[#front + 1] = {queue, job}
      else
        pushed.add(K.queue .. queue, job)
      end
      queued = queued + 1
    elseif not record[1] or record[1] == 'queued' then
      pushed.add(K.queue .. queue, job)   -- mangled, or promoted by RQ's own scheduler: the claim looks at it whole
      queued = queued + 1
    end
  end
end
gone.write()
pushed.write()
push_front(front)
for place = 2, #ARGV do
  local first = put('ZRANGE', K.scheduled .. ARGV[place], '0', '0', 'WITHSCORES')
  if first[2] then
    local wait = math.ceil(math.min(LONGEST, math.max(0, tonumber(first[2]) * 1000 - now)))
    if next_due < 0 or wait < next_due then next_due = wait end
  end
end
publish_changes()
return {queued, next_due}

-- promote: scheduled → queued, when due on Redis's clock.
-- One script, because a due job is queued once, however many workers look.
--
-- ARGV  1 most jobs for each queue · 2… queues
-- Reply {number queued, ms until the next is due or -1}

local pushed, gone = collector('RPUSH'), collector('ZREM')
local count, next_due = 0, -1

for place = 2, #ARGV do
  local queue = ARGV[place]
  local key = K.scheduled .. queue
  local jobs = put('ZRANGE', key, '-inf', seconds(now), 'BYSCORE', 'LIMIT', 0, ARGV[1])
  for _, job in ipairs(jobs) do
    local record = fields(K.job .. job, 'status', 'event')
    gone.add(key, job)
    if record[1] == 'scheduled' then
      put('HSET', K.job .. job, 'status', 'queued', 'enqueued_at', stamp)
      tell(change_of(job, record[2] or event_of(job), 'queued', queue))
      pushed.add(K.queue .. queue, job)
      count = count + 1
    elseif not record[1] or record[1] == 'queued' then
      pushed.add(K.queue .. queue, job)   -- mangled, or promoted by RQ's own scheduler: the claim looks at it whole
      count = count + 1
    end
  end
end
gone.write()
pushed.write()
for place = 2, #ARGV do
  local first = put('ZRANGE', K.scheduled .. ARGV[place], 0, 0, 'WITHSCORES')
  if first[2] then
    local wait = math.max(0, tonumber(first[2]) * 1000 - now)
    if next_due < 0 or wait < next_due then next_due = math.ceil(wait) end
  end
end
publish_changes()
return {count, next_due}

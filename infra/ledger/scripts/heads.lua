-- heads: changes nothing; events as lists show them, each named by one of its jobs.
-- One script, because it is one command instead of five for each, and which of its jobs is the newest shows only in between.
--
-- ARGV  job ids
-- Reply for each {event id, head, the job's birth, duplicates, differing ones, size of the body, status and outcome of the
--       newest job, the ids of its jobs, …}; whatever is not there, or of the wrong kind, is nil or empty

local function head_of(job)
  if not is_job(job) then return {} end
  local event = event_of(job, peek('HGET', K.job .. job, 'event'))
  local kept = peek('HMGET', K.event .. event, 'head', 'job:' .. job, 'duplicates', 'differing')
  if not kept then return {} end
  local jobs = {}
  for _, name in ipairs(peek('HKEYS', K.event .. event)) do jobs[#jobs + 1] = string.match(name, '^job:(.*)$') end
  table.sort(jobs)
  local newest = peek('HMGET', K.job .. (jobs[#jobs] or job), 'status', 'outcome') or {false, false}
  return {event, kept[1], kept[2], kept[3], kept[4], peek('HSTRLEN', K.event .. event, 'body'), newest[1], newest[2], unpack(jobs)}
end

local replies = {}
for place, job in ipairs(ARGV) do replies[place] = head_of(job) end
return replies

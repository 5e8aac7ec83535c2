-- Behind _removal.lua.
-- expired: what is past retention, oldest first, a page a turn, for whoever archives it. What is no job at all goes.
-- One script, because a job's version must tell of one moment.
--
-- ARGV  1 most jobs · 2 retention in ms · 3 retention of failures in ms
-- Reply {1 if the walk reached its end, then for each job its id, its event's id and its version}

local keep, keep_dead = tonumber(ARGV[2]), tonumber(ARGV[3])
local jobs, ended = page(K.jobs, K.cursor .. 'jobs', ARGV[1], whole(now - math.min(keep, keep_dead)))
local replies = {ended and 1 or 0}
for _, entry in ipairs(jobs) do
  local job, created = entry[1], entry[2]
  if not is_job(job) then
    gone.add(K.jobs, job)
  else
    local past = past_retention(job, created, keep, keep_dead)
    if past then
      for _, value in ipairs({job, past.event, past.version}) do replies[#replies + 1] = value end
    end
  end
end
write_removals()
return replies

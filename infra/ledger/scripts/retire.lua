-- Behind _removal.lua.
-- retire: removes what is past retention, oldest first, a page a turn: jobs that ended long enough ago, with their results,
-- logs, steps, callbacks and index entries, and the event when its last job is gone. A job whose callback waits stays until that
-- has ended, one whose callback is a dead letter for as long as that is kept. Where there is an archive, nothing goes this way.
-- One script, because half a record is worse than an old one.
--
-- ARGV  1 most jobs · 2 retention in ms · 3 retention of failures in ms
-- Reply {removed, 1 if the walk reached its end}

if fields(K.archive, 'wanted')[1] then return {0, 1} end
local keep, keep_dead = tonumber(ARGV[2]), tonumber(ARGV[3])
local removed = 0

local jobs, ended = page(K.jobs, K.cursor .. 'jobs', ARGV[1], whole(now - math.min(keep, keep_dead)))
for _, entry in ipairs(jobs) do
  local job, created = entry[1], entry[2]
  if not is_job(job) then
    gone.add(K.jobs, job)
  else
    local past = past_retention(job, created, keep, keep_dead)
    if past then
      remove(job, past.event, past.queue, past.callbacks)
      removed = removed + 1
    end
  end
end
write_removals()
return {removed, ended and 1 or 0}

-- Behind _removal.lua.
-- let_go: removes jobs that the archive has, as `retire` does; one to which something was done since it was read stays.
-- One script, because nothing may be done to a job between the look at its version and its end.
--
-- ARGV  1 retention in ms · 2 retention of failures in ms; then for each job its id and its version, as `expired` told it
-- Reply how many were removed

local keep, keep_dead = tonumber(ARGV[1]), tonumber(ARGV[2])
local removed = 0

for first = 3, #ARGV, 2 do
  local job, version = ARGV[first], ARGV[first + 1]
  local created = tonumber(put('ZSCORE', K.jobs, job) or '')
  local past = created and past_retention(job, created, keep, keep_dead)
  if past and past.version == version then
    remove(job, past.event, past.queue, past.callbacks)
    removed = removed + 1
  end
end
write_removals()
if removed > 0 then count(K.counts, 'archived', removed) end
return removed

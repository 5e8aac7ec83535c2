-- quarantine: a claimed job whose seal does not hold is given up alone; it is never run, and nobody is called back,
-- for whoever changed it may have changed the address too.
-- One script, because only the holder of the lease may give a job up.
--
-- ARGV  1 worker · 2 job id · 3 token · 4 reason
-- Reply 'done' or 'fenced'

local worker, job, token = ARGV[1], ARGV[2], ARGV[3]
local record = fields(K.job .. job, 'lease', 'origin')
if record[1] ~= token then return 'fenced' end
put('ZREM', K.started .. (is_queue(record[2]) and record[2] or 'default'), job .. ':' .. token)
put('SREM', K.running .. worker, job)
quarantine(job, ARGV[4])
publish_changes()
return 'done'

-- step: what a running handler keeps for its next attempts, under a name.
-- One script, because only the holder of the lease may keep anything.
--
-- ARGV  1 job id · 2 token · 3 name · 4 value (seal + JSON)
-- Reply 'done', or 'fenced' where the token does not hold it any more and nothing was kept.

local job = ARGV[1]
local record = fields(K.job .. job, 'lease', 'status')
if record[1] ~= ARGV[2] or record[2] ~= 'started' then return 'fenced' end
put('HSET', K.steps .. job, ARGV[3], ARGV[4])
return 'done'

-- step: what a running handler keeps for its next attempts, under a name; of a step also which attempt kept it, and when.
-- One script, because only the holder of the lease may keep anything.
--
-- ARGV  1 job id · 2 token · 3 name · 4 value (seal + JSON)
-- Reply 'done', or 'fenced' where the token does not hold it any more and nothing was kept.

local job = ARGV[1]
local record = fields(K.job .. job, 'lease', 'status', 'round', 'attempt')
if record[1] ~= ARGV[2] or record[2] ~= 'started' then return 'fenced' end
local step = string.match(ARGV[3], '^step:(.*)$')
local by = string.format('%d %d %s%06d', natural(record[3], 1), natural(record[4], 1), clock[1], clock[2])
put('HSET', K.steps .. job, ARGV[3], ARGV[4], unpack(step and {'kept:' .. step, by} or {}))
return 'done'

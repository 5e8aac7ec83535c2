-- tick: notes when a recurring handler was due last, and what a worker tells of it.
-- One script, because the newest must stay, however many workers note theirs.
--
-- ARGV  1 the schedule's name · 2 when it was due, in ms since 1970 · 3 its handler · 4 what is told of it (JSON)
-- Reply when it was due last, in ms: this, or later.

local DAY = 86400000   -- a value may be anything; nobody has noted what lies further ahead
put('HSET', K.schedules, ARGV[3], ARGV[4])
local last = tonumber(fields(K.ticks, ARGV[1])[1] or '')
if last and last >= tonumber(ARGV[2]) and last <= now + DAY then return whole(last) end
put('HSET', K.ticks, ARGV[1], ARGV[2])
return ARGV[2]

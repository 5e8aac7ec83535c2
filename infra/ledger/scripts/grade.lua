-- grade: a receiver is being checked, or was: what it earned is kept with what is known of it.
-- One script, because two people who ask at the same time must not both send it bad callbacks.
--
-- ARGV  1 receiver's id · 2 its URL · 3 for how many ms a check that has begun is waited for
--       4 the grade, '' where a check begins · 5 what each probe came to (JSON)
-- Reply 1, or 0 where a check runs already and this one must not begin

local key = K.receiver .. ARGV[1]
local seen, checking = unpack(fields(key, 'seen', 'checking'), 1, 2)
if ARGV[4] == '' and checking and now - (tonumber(checking) or 0) < tonumber(ARGV[3]) then return 0 end
if not seen then
  put('HSET', key, 'seen', whole(now))
  put('ZADD', K.receivers, whole(now), ARGV[1])
end
if ARGV[4] == '' then
  put('HSET', key, 'url', ARGV[2], 'checking', whole(now))
else
  put('HSET', key, 'url', ARGV[2], 'checking', '', 'grade', ARGV[4], 'graded', whole(now), 'probes', ARGV[5])
end
return 1

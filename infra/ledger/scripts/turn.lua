-- turn: whose turn it is to do what one of all workers does once in a while.
-- One script, because two must not both find that it is theirs.
--
-- ARGV  1 what is done · 2 worker · 3 how long the turn is, in ms
-- Reply 1 where it is this worker's, for that long; else 0

local key = K.turn .. ARGV[1]
if put('SET', key, ARGV[2], 'NX', 'PX', ARGV[3]) then return 1 end
if redis.call('PTTL', key) ~= -1 then return 0 end
redis.call('SET', key, ARGV[2], 'PX', ARGV[3])   -- what stood there would have stood for ever
return 1

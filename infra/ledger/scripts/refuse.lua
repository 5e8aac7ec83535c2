-- refuse: keeps a sample of a request that was refused.
-- One script, because a set that is not cut to its size and given its end in the same step could outlive both.
--
-- ARGV  1 the source · 2 the sample · 3 how many are kept · 4 for how long, in ms
-- Reply 1

local key = K.refused .. ARGV[1]
put('ZADD', key, whole(now), ARGV[2])
redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. whole(now - tonumber(ARGV[4])))
redis.call('ZREMRANGEBYRANK', key, 0, -1 - tonumber(ARGV[3]))
redis.call('PEXPIRE', key, ARGV[4])
return 1

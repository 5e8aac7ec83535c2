-- sign_out: a session of the console counts no more; those that have expired by themselves are forgotten.
-- One script, because the set has to stay as small as there are sessions that still could be used.
--
-- ARGV  1 the session · 2 when it expires by itself, in ms
-- Reply 1

put('ZADD', K.signed_out, ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', K.signed_out, '-inf', whole(now - 60000))
return 1

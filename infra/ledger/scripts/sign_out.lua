-- sign_out: a session of the console counts no more; those that can't be used any more are forgotten.
-- One script, because the set has to stay as small as there are sessions that still could be used.
--
-- ARGV  1 the session · 2 for how many ms it has to be remembered
-- Reply 1

put('ZADD', K.signed_out, whole(now + tonumber(ARGV[2])), ARGV[1])
redis.call('ZREMRANGEBYSCORE', K.signed_out, '-inf', whole(now))
return 1

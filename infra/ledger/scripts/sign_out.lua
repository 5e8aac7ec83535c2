-- sign_out: a session of the console counts no more; those that can't be used any more are forgotten.
-- A sign-in by an identity provider that has come back is one too: it counts once.
-- One script, because the set has to stay as small as there are sessions that still could be used.
--
-- ARGV  1 the session · 2 for how many ms it has to be remembered
-- Reply 1, or 0 where it was known before

local new = put('ZADD', K.signed_out, whole(now + tonumber(ARGV[2])), ARGV[1])
redis.call('ZREMRANGEBYSCORE', K.signed_out, '-inf', whole(now))
return new

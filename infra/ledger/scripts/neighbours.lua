-- neighbours: how many workers share the receivers' rates, and which hosts have lately answered 429 to any of them.
-- One script, because both go by the server's clock.
--
-- ARGV  1 how long ago counts, in ms
-- Reply {number of workers whose lease holds, host, …}

local since = now - tonumber(ARGV[1])
put('ZREMRANGEBYSCORE', K.throttled, '-inf', whole(since))
return {put('ZCOUNT', K.leases, '(' .. whole(now), '+inf'), unpack(put('ZRANGE', K.throttled, '0', '99'))}

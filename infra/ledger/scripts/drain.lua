-- drain: a worker is asked to stop as SIGTERM would have it: it takes no further job, and what it runs may end.
-- One script, because only a worker that lives can be asked, and of two who ask at once one did.
--
-- ARGV  1 worker · 2 who wants it
-- Reply 1; 0 where it was asked before, -1 where no such worker lives: nothing was changed

local worker = ARGV[1]
if (tonumber(put('ZSCORE', K.leases, worker) or '') or 0) <= now then return -1 end
if put('HSETNX', K.held .. worker, 'drain', ARGV[2]) == 0 then return 0 end
if redis.call('EXISTS', K.worker .. worker) == 1 then put('HSET', K.worker .. worker, 'shutdown_requested_date', stamp) end
redis.call('PUBLISH', K.wake, 'orders')
return 1

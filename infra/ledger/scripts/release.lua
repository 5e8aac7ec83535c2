-- release: a queue, or a handler, is paused no longer.
-- One script, because of two who resume it at once one did it, and workers are told when it is so.
--
-- ARGV  1 'queue' | 'handler' · 2 its name
-- Reply 1, or 0 where it was not paused and nothing was changed

if put('HDEL', K.held_back, ARGV[1] .. ' ' .. ARGV[2]) == 0 then return 0 end
redis.call('PUBLISH', K.wake, 'orders')
return 1

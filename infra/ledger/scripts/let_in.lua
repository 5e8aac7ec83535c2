-- let_in: jobs that were parked while their handler was paused go back to their queues: some now, and for each that then ends
-- as many as its handler's limit lets in; where it has none, two, so that it doubles until none is left.
-- One script, because a handler that is paused anew meanwhile must keep them.
--
-- ARGV  1 the handler · 2 the most of its jobs that may run at a time, or ''
-- Reply 1, or 0 where the handler is paused and nothing was changed

local AT_ONCE, EACH_TIME = '100', '2'
local handler, most = ARGV[1], ARGV[2]
if put('HEXISTS', K.held_back, 'handler ' .. handler) == 1 then return 0 end
if put('LLEN', K.parked .. handler) == 0 then return 1 end
put('HSET', K.limits, handler, most ~= '' and most or AT_ONCE)
let_in(handler)
if most == '' then put('HSET', K.limits, handler, EACH_TIME) end
return 1

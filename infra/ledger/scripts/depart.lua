-- depart: a worker that stopped in order leaves no trace; what it could not give back is taken over at once.
-- One script, because its lease may end only together with what others see of it.
--
-- ARGV  1 worker · 2… its queues
-- Reply how many jobs it left behind.

local worker = ARGV[1]
local left = put('SCARD', K.running .. worker)
if left == 0 then
  put('ZREM', K.leases, worker)
else
  put('ZADD', K.leases, '0', worker)
end
redis.call('DEL', K.held .. worker, K.worker .. worker)
put('SREM', K.workers, K.worker .. worker)
for place = 2, #ARGV do put('SREM', K.workers_of .. ARGV[place], K.worker .. worker) end
return left

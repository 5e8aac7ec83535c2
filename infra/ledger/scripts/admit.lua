-- admit: lets requests of a source pass, as many as its rate still has places for.
-- One script, because two web processes must not take the same place.
--
-- ARGV  1 the source · 2 how many want to pass · 3 the rate: so many · 4 in so many ms
-- Reply {how many may, in how many ms the next one may}
--
-- What is kept is the moment at which all places will be free again (the "generic cell rate algorithm").

local key, period = K.rate .. ARGV[1], tonumber(ARGV[4])
local each = period / tonumber(ARGV[3])
local free = tonumber(put('GET', key) or '')
if not (free and free >= now) then free = now end   -- also where it is no number
free = math.min(free, now + period)
local places = math.min(tonumber(ARGV[2]), math.floor((now + period - free) / each + 0.001))
if places > 0 then
  free = free + places * each
  put('SET', key, string.format('%.3f', free), 'PX', whole(math.ceil(free - now)))
end
return {places, math.ceil(math.max(0, free + each - period - now))}

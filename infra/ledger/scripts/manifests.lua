-- manifests: what the live workers handle, by Redis's clock.
-- Reply {worker, manifest (JSON), …}

local reply = {}
for _, worker in ipairs(put('ZRANGE', K.leases, '(' .. whole(now), '+inf', 'BYSCORE')) do
  local manifest = fields(K.held .. worker, 'manifest')[1]
  if manifest then
    reply[#reply + 1] = worker
    reply[#reply + 1] = manifest
  end
end
return reply

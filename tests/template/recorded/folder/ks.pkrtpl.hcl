url --url=${mirror}
%{ for p in packages ~}
@${p}
%{ endfor ~}
%{ if length(packages) > 1 }many%{ else }few%{ endif }

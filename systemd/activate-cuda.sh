# Puts the CUDA libraries that pip installed on LD_LIBRARY_PATH.
#
#   . systemd/activate-cuda.sh                  in the shell, with the virtual environment active
#   sh systemd/activate-cuda.sh > FILE          prints the line for systemd's EnvironmentFile=
#
# RUASR_PYTHON names another Python than `python3`. Nothing is changed if there are no libraries.
ruasr_cuda_libraries=$("${RUASR_PYTHON:-python3}" - <<'PYTHON'
import sysconfig
from pathlib import Path

site = Path(sysconfig.get_path("purelib"))
folders = {path.parent for path in site.glob("nvidia/**/lib/lib*.so*")}
folders |= {path.parent for path in site.glob("sherpa_onnx/lib/libonnxruntime_providers_cuda.so")}
print(":".join(sorted(map(str, folders))))
PYTHON
)
if [ -z "$ruasr_cuda_libraries" ]; then
    echo "activate-cuda: no CUDA libraries among the installed wheels; pip install 'onnxruntime-gpu[cuda,cudnn]' brings them" >&2
else
    LD_LIBRARY_PATH="$ruasr_cuda_libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    export LD_LIBRARY_PATH
    echo "LD_LIBRARY_PATH=$LD_LIBRARY_PATH"
fi
unset ruasr_cuda_libraries

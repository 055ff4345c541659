# Without the manifest first: Packer deletes what the gate refuses.
source "file" "base" {
  source = "refused.qcow2"
  target = "built-refused.qcow2"
}

build {
  sources = ["source.file.base"]

  post-processors {
    post-processor "shell-local" {
      inline = ["exec tidegate check built-refused.qcow2"]
    }
  }
}

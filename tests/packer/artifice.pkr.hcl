# Several files, of which one is the image: what artifice says that the build left.
source "null" "base" {
  communicator = "none"
}

build {
  sources = ["source.null.base"]

  post-processors {
    post-processor "artifice" {
      files = ["several/SHA256SUMS", "several/vars.fd", "several/disk"]
    }
    post-processor "manifest" {
      output = "packer-manifest.json"
    }
    post-processor "shell-local" {
      inline = ["exec tidegate push --packer-manifest packer-manifest.json --rehearse"]
    }
  }
}

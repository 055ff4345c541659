# Brings an image to DigitalOcean that is there already: packer build -var image=disk.qcow2 push-file.pkr.hcl
# DIGITALOCEAN_TOKEN, SPACES_ACCESS_KEY_ID, SPACES_SECRET_ACCESS_KEY and SPACES_BUCKET are those of `tidegate push`.

# An image that is there already.
variable "image" {
  type = string
}

# Further options of tidegate.
variable "options" {
  type    = string
  default = "--region fra1 --distribution Debian"
}

source "file" "base" {
  source = var.image
  target = "built-${basename(var.image)}"
}

build {
  sources = ["source.file.base"]

  # The manifest comes first, in the same block as the gate: it makes Packer keep the image, which it would delete
  # otherwise if the gate refused it.
  post-processors {
    post-processor "manifest" {
      output = "packer-manifest.json"
    }
    post-processor "shell-local" {
      inline = ["exec tidegate push --packer-manifest packer-manifest.json ${var.options}"]
    }
  }
}

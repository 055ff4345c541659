# Checks an image that is there already: packer build -var image=disk.qcow2 gate-file.pkr.hcl

# An image that is there already.
variable "image" {
  type = string
}

# Further options of tidegate.
variable "options" {
  type    = string
  default = "--strict"
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
      inline = ["exec tidegate check --packer-manifest packer-manifest.json ${var.options}"]
    }
  }
}

# Builds an image with QEMU, checks it, and brings it to DigitalOcean if it passes. DIGITALOCEAN_TOKEN,
# SPACES_ACCESS_KEY_ID, SPACES_SECRET_ACCESS_KEY and SPACES_BUCKET are those of `tidegate push`.

packer {
  required_plugins {
    qemu = {
      source  = "github.com/hashicorp/qemu"
      version = ">= 1.1.0"
    }
  }
}

# A cloud image of Debian, which is booted and changed.
variable "image" {
  type    = string
  default = "https://cloud.debian.org/images/cloud/bookworm/latest/debian-12-genericcloud-amd64.qcow2"
}

variable "checksum" {
  type    = string
  default = "file:https://cloud.debian.org/images/cloud/bookworm/latest/SHA512SUMS"
}

# Further options of tidegate.
variable "options" {
  type    = string
  default = "--region fra1 --distribution Debian"
}

source "qemu" "base" {
  iso_url          = var.image
  iso_checksum     = var.checksum
  disk_image       = true
  disk_size        = "10G"
  format           = "qcow2"
  output_directory = "output"
  vm_name          = "base.qcow2"
  headless         = true
  # cloud-init lets Packer in by the disk of seeds below.
  cd_label = "cidata"
  cd_content = {
    "meta-data" = ""
    "user-data" = "#cloud-config\nssh_pwauth: true\npassword: packer\nchpasswd:\n  expire: false\n"
  }
  ssh_username     = "debian"
  ssh_password     = "packer"
  shutdown_command = "sudo shutdown -P now"
}

build {
  sources = ["source.qemu.base"]

  provisioner "shell" {
    inline = [
      "sudo apt-get update",
      "sudo apt-get install -y nginx",
      # What was set for Packer alone, and what makes each Droplet the first boot of its own.
      "sudo passwd --lock debian",
      "sudo cloud-init clean --logs --machine-id",
    ]
  }

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

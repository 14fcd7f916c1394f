import dev.reprise.*;

class Five {
    public static void main(String[] arguments) {
        try (Device device = Device.open(); Model model = Model.open(device, "sentiment")) {
            for (Label label : model.classify("a warm and funny film")) {
                System.out.println(label);
            }
        }
    }
}
